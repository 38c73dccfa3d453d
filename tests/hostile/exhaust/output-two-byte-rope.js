// Shows a text that has three times as many bytes as characters.
// limits: outputBytes=100000
// expect: fails OutputLimitExceeded
text('\u4e2d'.repeat(5e4));
