/** Who a helper program is to be, as its options (agent/native/helper/user.c, agent/native/homefs). */
export interface OwnerIds {
  uid: number;
  gid: number;
  groups: readonly number[];
}

export const userOptions = ({ uid, gid, groups }: OwnerIds): string[] => [
  ...['--uid', `${uid}`, '--gid', `${gid}`, '--groups', groups.join()],
];
