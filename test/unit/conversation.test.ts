import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Message, Session } from '../../agent/debug/link/session';
import { freshStub } from '../../agent/debug/state/parked';
import { Conversation } from '../../agent/debug/stub/conversation';

describe('a conversation', () => {
  it('ends with a reason of any length: what gdbserver has printed is in it', async () => {
    const conversation = new Conversation(freshStub('a-session', 2), {
      inferior: undefined as never,
      queue: undefined as never,
      grace: 1_000,
      ready: () => false,
    });
    const client = new Session('a-session');
    const [here, there] = duplexPair();
    const said = new Promise<Message>((resolve) => client.once('message', resolve));
    const connected = once(conversation, 'connected');
    client.attach(there);
    conversation.join(here);
    await connected;
    conversation.end('x'.repeat(3_000));
    expect(await said).toEqual({ kind: 'bye', reason: 'x'.repeat(1_000) });
    client.detach();
  });
});
