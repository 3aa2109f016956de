/**
 * Where machines without a certificate ask to join: a port of its own, at which nothing else is answered, and which is
 * open only while there is a token to join with.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Caller, CallerConnection, Handlers } from '../../api/contract';
import { type JoinContract, joinContract } from '../../api/join-contract';
import type { Log } from '../../log';
import { SerialQueue } from '../../machine/serial-queue';
import { type Peer, type Server, serveStrangers } from '../../wire/server';
import { bindingOf, type TlsIdentity } from '../../wire/tls';
import type { Authority } from './authority';
import { wrongProof } from './errors';
import type { Tokens } from './tokens';

/** Machines that join at once, and strangers, the oldest of whom gives way to whom comes next. */
const MOST_CONNECTIONS = 64;
/** Before that it only proves itself, which takes a moment. */
const PROVE_WITHIN_MS = 60_000;
/** A machine that has entered starts its agent, and is done: minutes, where it does much else. */
const ENTER_WITHIN_MS = 15 * 60_000;
/** setTimeout's longest (node:timers). */
const LONGEST_MS = 2 ** 31 - 1;

export interface JoinDoorParts {
  name: string;
  host: string;
  port: number;
  tls: TlsIdentity;
  authority: Authority;
  tokens: Tokens;
  /** Says that it is open, until the function is called that it returns. */
  announce: () => () => void;
  log: Log;
}

export class JoinDoor {
  readonly #turns = new SerialQueue();
  #server: Server | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #unannounce: (() => void) | null = null;
  /** By whom a token is being used. */
  readonly #entering = new Map<CallerConnection, string>();
  readonly #endings = new Set<Promise<void>>();

  constructor(private readonly parts: JoinDoorParts) {}

  /** Opens or closes it, as there are tokens or not. @throws GodwitError `address-taken`, `cannot-listen` */
  review(): Promise<void> {
    return this.#turns.take(async () => {
      const { good } = this.parts.tokens;
      clearTimeout(this.#timer);
      if (this.#isOver || (good.length === 0 && this.#entering.size === 0)) return this.#shut();
      this.#server ??= await this.#open();
      this.#unannounce ??= this.parts.announce();
      // While a machine is still entering with the last token, its end is the next occasion.
      if (good.length > 0) this.#lookAgain(Math.max(...good.map(({ expires }) => Date.parse(expires))));
    });
  }

  #lookAgain(at: number): void {
    const ms = Math.min(Math.max(at - Date.now(), 0) + 1, LONGEST_MS);
    this.#timer = setTimeout(() => void this.review(), ms);
    this.#timer.unref();
  }

  async #shut(): Promise<void> {
    this.#unannounce?.();
    this.#unannounce = null;
    await this.#server?.close();
    this.#server = null;
  }

  /** No machine is let in any more, and one that was about to join has not. */
  async close(): Promise<void> {
    this.#isOver = true;
    await this.review();
    await Promise.all(this.#endings);
  }

  #open(): Promise<Server> {
    const { name, host, port, tls } = this.parts;
    const chain = { key: tls.key, cert: Buffer.concat([tls.cert, tls.ca]) };
    const handlers = this.#handlers();
    const what = { name, kind: 'agent', contract: joinContract, handlers } as const;
    const more = {
      maxConnections: MOST_CONNECTIONS,
      givesWay: (socket: Socket) => !this.#hasEntered(socket),
      onConnection: (peer: Peer) => this.#comes(peer),
    };
    return serveStrangers({ ...what, ...more, host, port, tls: chain });
  }

  #hasEntered({ remoteAddress, remotePort }: Socket): boolean {
    const from = [...this.#entering.keys()].map(({ transport }) => transport as TLSSocket);
    return from.some((one) => one.remoteAddress === remoteAddress && one.remotePort === remotePort);
  }

  #comes(peer: Peer): void {
    const late = setTimeout(() => {
      if (!this.#entering.has(peer.connection)) peer.close();
    }, PROVE_WITHIN_MS).unref();
    void peer.closed.then(() => clearTimeout(late));
  }

  #handlers(): Handlers<JoinContract> {
    const { authority } = this.parts;
    return {
      'join.prove': ({ token }, caller) => ({ proof: authority.prove(token, bindingFor(caller)) }),
      'join.enter': async (params, caller) => {
        const answer = await authority.enter(params, bindingFor(caller));
        this.#enters(params.token, params.name, caller);
        return answer;
      },
      'join.done': async (_params, { connection }) => {
        const token = connection && this.#entering.get(connection);
        if (token === undefined) throw wrongProof();
        await authority.done(token);
        this.#entering.delete(connection!);
        return {};
      },
    };
  }

  #enters(token: string, name: string, { connection }: Caller): void {
    this.parts.log(`${name} is joining`);
    this.#entering.set(connection!, token);
    const late = setTimeout(() => (connection!.transport as TLSSocket).destroy(), ENTER_WITHIN_MS).unref();
    const ending = connection!.closed.then((why) => {
      clearTimeout(late);
      return this.#ended(token, name, connection!, why);
    });
    this.#endings.add(ending);
    void ending.then(() => this.#endings.delete(ending));
  }

  async #ended(token: string, name: string, connection: CallerConnection, why: Error): Promise<void> {
    const { authority, log } = this.parts;
    const unfinished = this.#entering.delete(connection);
    log(unfinished ? `${name} has not joined: ${why.message}` : `${name} has joined`);
    try {
      if (unfinished) await authority.undo(token);
      await this.review();
    } catch (error) {
      log.error(`the joining of ${name} is not over: ${(error as Error).message}`);
    }
  }
}

const bindingFor = ({ connection }: Caller): Buffer => bindingOf(connection!.transport as TLSSocket);
