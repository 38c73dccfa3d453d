// Replaces the methods of dates, and shows dates that are none.
// expect: completes
// shows: 1970-01-01T00:00:00.000Z
// shows: Invalid Date
for (const name of ['toISOString', 'getTime', 'toJSON', 'valueOf', Symbol.toPrimitive]) Object.defineProperty(Date.prototype, name, { value: () => { throw new Error('evil'); } });
text(new Date(0)); text(new Date(NaN));
