// Shows an image with a hint of half a gigabyte.
// expect: fails OutputLimitExceeded
generatedImage({ image_url: 'data:x', output_hint: 'x'.repeat(5e8) });
