import { type ClientContract, clientContract } from '../api/client-contract';
import { type Client, connectUnix } from '../wire/client';

/** One conversation with this machine's agent. @throws GodwitError `no-agent`, …, and what `question` throws */
export async function withAgent<T>(
  socket: string,
  question: (agent: Client<ClientContract>) => Promise<T>,
): Promise<T> {
  const agent = await connectUnix(socket, { name: 'godwit', kind: 'client', contract: clientContract });
  try {
    return await question(agent);
  } finally {
    agent.close();
  }
}
