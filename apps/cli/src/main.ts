#!/usr/bin/env node
import { run } from './program.js';

// `millrace migrate --print | head`: whoever reads may stop reading
process.stdout.on('error', () => process.exit());

process.exitCode = await run(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
