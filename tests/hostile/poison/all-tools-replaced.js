// Changes the list of tools for the cells that come after it.
// expect: completes
// shows: held
ALL_TOOLS[0].name = 'forged'; ALL_TOOLS.length = 1; Object.freeze(ALL_TOOLS);
globalThis.ALL_TOOLS = [];
text('held');
// next cell
// expect: completes
// shows: echo 16
text(`${ALL_TOOLS[0].name} ${ALL_TOOLS.length}`);
