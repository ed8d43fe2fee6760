import { type Travel } from './sim-process.js';
import { type VirtualTime } from './virtual-time.js';

/** Which server a message goes to, or comes from. */
export type Server = 'database' | 'kafka';

/** What is wrong with the way of one process to one server. */
export type Weather = 'fine' | 'slow' | 'lossy' | 'cut';

/** The way between one process and its servers: a message takes a while, a long while, or never arrives. */
export class Network {
  private readonly weather: Record<Server, Weather> = { database: 'fine', kafka: 'fine' };

  constructor(
    private readonly time: VirtualTime,
    private readonly random: () => number,
    private readonly travelMs: number,
  ) {}

  get nowMs(): number {
    return this.time.nowMs;
  }

  disturb(server: Server, weather: Weather, durationMs: number): void {
    this.weather[server] = weather;
    this.time.in(durationMs, () => {
      this.weather[server] = 'fine';
    });
  }

  /** How long one way takes; it does not arrive before `notBeforeMs`. */
  travel(server: Server, notBeforeMs: number): Travel {
    const delay = this.delay(this.weather[server]);
    return delay === 'lost' ? 'lost' : Math.max(delay, notBeforeMs - this.time.nowMs);
  }

  private delay(weather: Weather): Travel {
    const quick = 0.1 + this.travelMs * this.random();
    switch (weather) {
      case 'fine':
        return quick;
      case 'slow':
        // sometimes longer than any deadline: what was given up on still arrives
        return this.random() < 0.2 ? 20_000 * this.random() : 300 * this.random();
      case 'lossy':
        return this.random() < 0.4 ? 'lost' : quick;
      case 'cut':
        return 'lost';
    }
  }
}
