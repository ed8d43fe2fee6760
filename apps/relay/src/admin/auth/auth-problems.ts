/** The answers that every path below /admin may give before it is looked at. */
export const AUTH_PROBLEMS = {
  401: 'no valid token',
  403: 'the role of the token does not allow this',
  429: 'too many wrong tokens came from this address; see Retry-After',
};
