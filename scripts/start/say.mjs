/** A line of `npm start` itself, between the lines of the apps. */
export function say(text) {
  console.log(`${'millrace'.padEnd(9)} ${text}`);
}
