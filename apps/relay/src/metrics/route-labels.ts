/** The labels of a route's metrics. */
export interface RouteLabels {
  readonly route: string;
  readonly source: string;
  readonly sink: string;
}

/** Picks the labels from anything that knows them: a status or a configuration. */
export function labelsOf({ route, source, sink }: RouteLabels): RouteLabels {
  return { route, source, sink };
}
