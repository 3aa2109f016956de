/** A client of gdb's remote protocol by hand: what it sends is well framed, and may be anything. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodePacket, expandRunLength, PacketReader, unescapeBinary } from '../../agent/debug/rsp/codec';

const ANSWER_MS = 90_000;

export class RspClient {
  readonly #reader = new PacketReader();
  readonly #replies: string[] = [];
  #wake: () => void = () => {};

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      for (const item of this.#reader.push(chunk))
        if (item.kind === 'packet') this.#replies.push(item.payload);
      this.#wake();
    });
    socket.on('close', () => this.#wake());
    socket.on('error', () => {});
  }

  static async at(path: string): Promise<RspClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    const client = new RspClient(socket);
    await client.ask('QStartNoAckMode');
    return client;
  }

  /** The reply, its runs expanded. @throws Error if none comes */
  async ask(packet: string): Promise<string> {
    this.socket.write(encodePacket(packet));
    for (const end = performance.now() + ANSWER_MS; ; ) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return expandRunLength(reply);
      const left = end - performance.now();
      if (this.socket.destroyed || left < 0) throw new Error(`no answer to ${packet.slice(0, 60)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The beginning of a file, or `F-1,ERRNO` (GDB manual, "Host I/O Packets"). */
  async read(path: string): Promise<string> {
    const opened = await this.ask(`vFile:open:${Buffer.from(path).toString('hex')},0,0`);
    if (opened.startsWith('F-1')) return opened;
    const handle = opened.slice(1);
    const answer = await this.ask(`vFile:pread:${handle},1000,0`);
    await this.ask(`vFile:close:${handle}`);
    if (answer.startsWith('F-1')) return answer;
    return unescapeBinary(answer.slice(answer.indexOf(';') + 1)).toString('latin1');
  }

  close(): void {
    this.socket.destroy();
  }
}
