/** What can go wrong when an image is made that boots as a node. */
import { GodwitError } from '../api/errors';

export const lacksPrograms = (missing: string[], packages: string[]) =>
  new GodwitError({
    code: 'live-lacks-programs',
    message: `to make an image, this machine lacks ${missing.join(', ')}`,
    fix: `as root: apt-get install --no-install-recommends ${packages.join(' ')}`,
  });

export const liveNeedsRoot = () =>
  new GodwitError({
    code: 'not-root',
    message: 'an image has files of root’s in it, which only root can make',
    fix: 'run the same with sudo',
  });

export const otherMachine = (machine: string) =>
  new GodwitError({
    code: 'other-machine',
    message: `images are made for x86-64, with what is installed here, and this machine is ${machine}`,
    fix: 'run the same on an x86-64 machine',
  });

export const wrongRequest = (what: string, why: string, fix: string) =>
  new GodwitError({ code: 'live-wrong-request', message: `${what} ${why}`, fix });

export const stepFailed = (what: string, why: string, fix?: string) =>
  new GodwitError({ code: 'live-failed', message: `${what} failed: ${why}`, fix });

export const noModule = (kernel: string, name: string) =>
  new GodwitError({
    code: 'live-failed',
    message: `the kernel ${kernel} has no module ${name}, which a node needs`,
    fix: 'choose another release of Debian with --suite',
  });

export const tooLarge = (bytes: number, most: number) =>
  new GodwitError({
    code: 'live-too-large',
    message: `the system of the image has ${bytes} bytes packed, and what a kernel unpacks at boot holds files of up to ${most}`,
    fix: 'name fewer packages',
  });
