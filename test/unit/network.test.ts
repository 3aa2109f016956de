import { describe, expect, it } from 'vitest';
import { boundPorts, socketObstacle, takenPorts } from '../../agent/daemon/preflight/network';
import { type InetSocket, parseSockets } from '../../agent/machine/network/inet-sockets';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (local: string, remote: string, state: string, inode: number) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0`;

const LISTEN = '0A';
const ESTABLISHED = '01';
const CLOSE_WAIT = '08';
const LOOP = '0100007F';
const NOBODY = '00000000:0000';
const parse = (...rows: string[]) => parseSockets([HEAD, ...rows, ''].join('\n'), 'tcp');

describe("the kernel's tables of sockets", () => {
  it('are read: IPv4, IPv6, and IPv4 within IPv6', () => {
    const loop6 = '00000000000000000000000001000000';
    const mapped = '0000000000000000FFFF00000301B10A';
    const sockets = parse(
      row(`${LOOP}:1F90`, NOBODY, LISTEN, 7),
      row(`${loop6}:0050`, `${loop6}:FFFF`, ESTABLISHED, 8),
      row(`${mapped}:0016`, `${mapped}:8001`, CLOSE_WAIT, 9),
    );
    expect(sockets).toEqual([
      {
        protocol: 'tcp',
        local: '127.0.0.1',
        port: 8080,
        remote: '0.0.0.0',
        remotePort: 0,
        state: 10,
        inode: 7,
        waiting: 0,
      },
      {
        ...{ protocol: 'tcp', local: '0:0:0:0:0:0:0:1', port: 80, remote: '0:0:0:0:0:0:0:1' },
        ...{ remotePort: 65_535, state: 1, inode: 8, waiting: 0 },
      },
      {
        ...{ protocol: 'tcp', local: '10.177.1.3', port: 22, remote: '10.177.1.3' },
        ...{ remotePort: 32_769, state: 8, inode: 9, waiting: 0 },
      },
    ]);
  });

  it('that say nothing, or nonsense, have none', () => {
    for (const text of ['', HEAD, 'sl what\n 0: 12:34 56:78 01'])
      expect(parseSockets(text, 'tcp')).toEqual([]);
  });
});

describe("a job's sockets in its host's network", () => {
  const listener = row(`${LOOP}:1F90`, NOBODY, LISTEN, 1);
  const there = row(`${LOOP}:8000`, `${LOOP}:1F90`, ESTABLISHED, 2);
  const back = row(`${LOOP}:1F90`, `${LOOP}:8000`, ESTABLISHED, 3);
  const judge = (own: InetSocket[]) => own.map((socket) => socketObstacle(socket, own, 'it')?.what ?? null);

  it.each([
    ['loopback within the job', [listener, there, back]],
    ['a listener at any address', [row('00000000:1F90', NOBODY, LISTEN, 1)]],
    ['what the other end has closed', [row(`${LOOP}:8000`, `${LOOP}:1F90`, CLOSE_WAIT, 2)]],
    ['what its own listener has not accepted yet', [listener, there]],
  ])('can be carried: %s', (_, rows) => {
    expect(judge(parse(...rows)).filter(Boolean)).toEqual([]);
  });

  it.each([
    ['a connection elsewhere', row('0301B10A:8000', '0101B10A:01BB', ESTABLISHED, 2), /to 10\.177\.1\.1:443/],
    ['loopback to another program', there, /127\.0\.0\.1:8080, a program outside/],
    ["a listener at the host's address", row('0301B10A:0050', NOBODY, LISTEN, 2), /10\.177\.1\.3:80/],
  ])('can not: %s', (_, one, what) => {
    expect(judge(parse(one))[0]).toMatch(what);
  });

  it('need ports that are free at the destination', () => {
    const wanted = boundPorts(parse(listener, there, back));
    expect(wanted.map(({ port }) => port)).toEqual([8080, 32_768]);
    const taken = (...rows: string[]) => takenPorts(wanted, parse(...rows)).map(({ port }) => port);
    expect(taken(listener)).toEqual([8080]);
    expect(taken(row('00000000:1F90', NOBODY, LISTEN, 5))).toEqual([8080]);
    expect(taken(row('0301B10A:1F90', NOBODY, LISTEN, 5))).toEqual([]);
    expect(taken(row(`${LOOP}:1F90`, `${LOOP}:9000`, ESTABLISHED, 5))).toEqual([]);
  });
});
