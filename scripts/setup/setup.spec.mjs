import { describe, expect, it } from '@jest/globals';
import { isInstalled } from './install.mjs';
import { javaVersion, requireNode } from './prerequisites.mjs';

describe('the installed dependencies', () => {
  const wanted = {
    packages: {
      '': {},
      'libs/events': { version: '0.1.0' },
      'node_modules/pg': { version: '8.0.0' },
      'node_modules/only-on-darwin': { version: '1.0.0', optional: true },
    },
  };

  it('are complete without optional packages of other systems', () => {
    expect(isInstalled(wanted, { packages: { 'node_modules/pg': { version: '8.0.0' } } })).toBe(true);
  });

  it.each([
    ['nothing is installed', undefined],
    ['a package is missing', { packages: {} }],
    ['a package has another version', { packages: { 'node_modules/pg': { version: '7.0.0' } } }],
  ])('are not complete when %s', (_name, installed) => {
    expect(isInstalled(wanted, installed)).toBe(false);
  });
});

describe('the prerequisites', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['java version "1.8.0_292"', 8],
    ['openjdk version "25" 2025-09-16', 25],
    ['', 0],
  ])('read the Java version from %j', (text, version) => {
    expect(javaVersion(text)).toBe(version);
  });

  it('refuse a Node before 20 and take later ones', () => {
    expect(() => requireNode('18.20.1')).toThrow('Node 18.20.1 is too old: install Node 20 or later');
    expect(() => requireNode('20.0.0')).not.toThrow();
  });
});
