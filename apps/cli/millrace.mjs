#!/usr/bin/env node
const NODE_MAJOR_MIN = 22;
const MAIN = new URL('../../dist/apps/cli/main.js', import.meta.url);

const major = Number.parseInt(process.versions.node, 10);
if (major < NODE_MAJOR_MIN) {
  refuse(`Millrace needs Node ${NODE_MAJOR_MIN} or later, and this is ${process.versions.node}: use a newer one`);
} else {
  try {
    await import(MAIN.href);
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== MAIN.href) {
      throw error;
    }
    refuse('Millrace is not built yet: run npm run build');
  }
}

function refuse(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}
