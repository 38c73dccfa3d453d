// Makes one text of 132 MB after the other, each garbage when the next one comes: V8 gives the first large object since a
// collection all the room that it wants.
// expect: fails HeapLimitExceeded: the cell used more than its 33554432 bytes of heap
const all = Array(12000).fill(Array(1000).fill('abcdefgh'));
for (let i = 0; i < 3; i++) JSON.stringify(all);
