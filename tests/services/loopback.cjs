// Loaded before a service that has no option for this. The service then listens only on the loopback interface, and with
// CLOCK_AHEAD_MS its clock is ahead of the clock of the machine.
'use strict';

const http = require('http');
const net = require('net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (first, ...rest) {
  if (first !== null && typeof first === 'object' && 'port' in first) {
    return listen.call(this, { ...first, host: '127.0.0.1' }, ...rest);
  }
  if (Number.isInteger(Number(first))) {
    const others = rest.filter((argument) => typeof argument !== 'string');
    return listen.call(this, first, '127.0.0.1', ...others);
  }
  return listen.call(this, first, ...rest);
};

const aheadMs = Number(process.env.CLOCK_AHEAD_MS || 0);
if (aheadMs !== 0) {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...parts) {
      if (parts.length === 0) {
        super(RealDate.now() + aheadMs);
      } else {
        super(...parts);
      }
    }

    static now() {
      return RealDate.now() + aheadMs;
    }
  };
  // Node's own header would have the time of the machine.
  const writeHead = http.ServerResponse.prototype.writeHead;
  http.ServerResponse.prototype.writeHead = function (...parts) {
    this.setHeader('Date', new Date().toUTCString());
    return writeHead.apply(this, parts);
  };
}
