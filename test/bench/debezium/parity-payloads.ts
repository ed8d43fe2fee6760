/** What a JSON parser, or a relay that parses payloads, could take for something else; jsonb keeps all numbers exactly. */
export const PAYLOADS: readonly string[] = [
  '{}',
  '[]',
  'null',
  'true',
  '0',
  '-0.0',
  '1.50',
  '"text"',
  '""',
  '{"": ""}',
  '{"b": 1, "a": 2, "b": 3}',
  '{"amount": 12345678901234567890.1200, "tiny": 1e-30, "exponent": 1E2, "half": 0.1}',
  '{"text": "\\u00e9 \\" \\\\ \\/ \\n \\ud83d\\ude00 ä € 😀 \u2028 \u00a0 e\u0301"}',
  '  { "spaces" :  [ 1 , 2 ] }  ',
  '{"nested": {"list": [{"deep": [[[]]]}, null, false]}}',
  `{"long": "${'x'.repeat(100_000)}"}`,
  `{"longer": "${'€'.repeat(200_000)}"}`,
];

/** What a shell, a URL, a CSV or a trim could take for something else. */
export const KEYS: readonly string[] = [
  '1',
  'key with spaces',
  ' between spaces ',
  'schlüssel-ä€😀',
  'e\u0301',
  '"quoted"',
  '{"json": 1}',
  'a:b,c;d/e',
  'tab\tand\nnewline',
  'null',
  '00000000-0000-0000-0000-000000000000',
  'k'.repeat(1_000),
];
