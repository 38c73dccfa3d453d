// Shows a list that is as long as lists can be, and empty.
// expect: fails TypeError: content expects
content(new Array(2 ** 32 - 1));
