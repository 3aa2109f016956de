/** Announcements on the local network: multicast DNS (RFC 6762) and service discovery in it (RFC 6763). */
import Bonjour, { type ServiceConfig } from 'bonjour-service';

/** What is passed on to the sockets below, which the library's own types don't have. */
interface SocketOptions {
  interface?: string;
  bind?: string;
}

/**
 * On the network that this address of the machine is in; without it the kernel's routes decide, and there may be none.
 * @param fail told of what keeps announcements from being heard
 */
export function multicastAt(address: string, fail: (error: Error) => void): Bonjour {
  const at: SocketOptions = /^[\d.]+$/.test(address) ? { interface: address, bind: '0.0.0.0' } : {};
  return new Bonjour(at as Partial<ServiceConfig>, fail);
}
