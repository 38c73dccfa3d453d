//! One cell in one JavaScript isolate.
