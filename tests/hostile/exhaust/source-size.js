// Is longer than it may be.
// limits: sourceBytes=100
// expect: fails SourceLimitExceeded
text('a line that is not very long, but longer than a hundred bytes, which is all that this source may have');
