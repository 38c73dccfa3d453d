// Shows an image whose data are half a gigabyte.
// expect: fails OutputLimitExceeded
image('data:image/png;base64,'.padEnd(5e8, 'A'));
