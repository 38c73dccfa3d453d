// Shows an image of a type with a name of half a gigabyte.
// expect: fails OutputLimitExceeded
image({ type: 'image', data: 'AA==', mimeType: 'x'.repeat(5e8) });
