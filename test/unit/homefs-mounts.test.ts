import { expect, test } from 'vitest';
import { jobMounts } from '../../agent/machine/homefs/mounts';

const line = (
  at: string,
  { device = '8:2', root = '/', type = 'ext4', options = 'rw', on = '/', id = at } = {},
) => `${id} ${on} ${device} ${root} ${at} rw,relatime shared:1 - ${type} source ${options}`;

test('a job has the mounts that hold files, parents first, and nothing of the kernel, of other jobs, or that others cover', () => {
  const mountinfo = [
    line('/', { device: '8:1' }),
    line('/home/a\\040b', { type: 'xfs', on: 'upper' }),
    line('/home'),
    ...['/proc', '/sys/fs/cgroup', '/dev/shm'].map((at) => line(at, { type: 'tmpfs' })),
    line('/net', { type: 'autofs' }),
    line('/run/netns/x', { type: 'nsfs' }),
    line('/state', { device: '8:9' }),
    line('/state/roots/other.1', { device: '8:1', on: '/state' }),
    line('/state/roots/other.1/data', { on: '/state' }),
    line('/elsewhere/other.2', { device: '8:1' }),
    line('/mnt/theirs', { device: '0:50', type: 'fuse.godwit' }),
    line('/mnt/private', { device: '0:51', type: 'fuse.sshfs', options: 'rw,user_id=1000,group_id=1000' }),
    line('/mnt/private-too', { device: '0:52', type: 'fuse', options: 'rw,user_id=1000' }),
    line('/mnt/common', { device: '0:53', type: 'fuse.sshfs', options: 'rw,user_id=1000,allow_other' }),
    line('/opt/own', { device: '8:1', root: '/opt/own' }),
    line('/opt/more', { device: '8:1', root: '/srv' }),
    line('/home', { on: '/home', id: 'upper' }),
    line('/odd]', {}),
    line('/data/covered', { device: '8:3' }),
    line('/data/covered/too', { device: '8:4', on: '/data/covered' }),
    line('/data', { type: 'tmpfs' }),
    '',
  ].join('\n');
  const common = ['/data', '/home', '/home/a b', '/mnt/common', '/opt/more'];
  // The state folder has the program that is the job's PID 1.
  expect(jobMounts(mountinfo, '/state')).toEqual([...common, '/state']);
});

test('a mount that is made on a folder of one that jobs do not have is not theirs either: its place is not there', () => {
  const mountinfo = [
    line('/', { device: '8:1' }),
    line('/mnt/theirs', { device: '0:50', type: 'fuse.godwit' }),
    line('/mnt/theirs/sub', { type: 'tmpfs', on: '/mnt/theirs' }),
    line('/mnt/theirs/sub/below', { on: '/mnt/theirs/sub' }),
    line('/mnt/private', { device: '0:51', type: 'fuse.sshfs', options: 'rw,user_id=1000,group_id=1000' }),
    line('/mnt/private/sub', { type: 'tmpfs', on: '/mnt/private' }),
    line('/elsewhere', { device: '8:1' }),
    line('/elsewhere/tmp', { type: 'tmpfs', on: '/elsewhere' }),
    line('/net', { device: '0:52', type: 'autofs' }),
    line('/net/server', { type: 'nfs4', on: '/net' }),
    line('/direct', { device: '0:53', type: 'autofs', id: 'trigger' }),
    line('/direct', { type: 'nfs4', on: 'trigger' }),
    line('/direct/more', { type: 'nfs4', on: '/direct' }),
    '',
  ].join('\n');
  expect(jobMounts(mountinfo, '/state')).toEqual(['/direct', '/direct/more']);
});
