// Has each timer set two more.
// limits: timers=100
// expect: fails TimerLimitExceeded
const grow = () => { setTimeout(grow); setTimeout(grow); }; grow(); await tools.never();
