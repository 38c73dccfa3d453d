// Deletes every global that it can.
// expect: completes
// shows: held
const { deleteProperty, ownKeys } = Reflect; const all = globalThis;
for (const key of ownKeys(all)) if (key !== 'text') deleteProperty(all, key);
text('held');
// next cell
// expect: completes
// shows: held
text(typeof Array + typeof tools + typeof JSON === 'functionobjectobject' ? 'held' : 'gone');
