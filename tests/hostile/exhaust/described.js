// Keeps all that it is told of tools.
// discovery: yes
// expect: fails HeapLimitExceeded: the cell used more than its 33554432 bytes of heap
const kept = [];
for (;;) kept.push(search_tools('tool', 50), describe_tool('echo').split(''));
