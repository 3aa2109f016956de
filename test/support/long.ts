/** Whether the long walks are wanted: `npm run test:long`. Else each is a sample of itself, for every change is to pass it. */
export const LONG = process.env.GODWIT_LONG === '1';
