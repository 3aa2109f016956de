/** `node dist/test/adapter-server.cjs [PORT]`; see .vscode/launch.json. */
import { serveAdapters } from './adapter-server';

const USUAL_PORT = 4711;
const port = Number(process.argv[2] ?? USUAL_PORT);

void serveAdapters(port, (text) => console.log(text)).then(
  () => console.log(`"debugServer": ${port}`),
  (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
