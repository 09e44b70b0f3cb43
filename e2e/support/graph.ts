// Reads the graph off the screen: what a person would see, not what the API says.
import type { Page } from '@playwright/test';

export interface EdgeOnScreen {
  source: string;
  target: string;
  rate: number;
  protocol: string;
}

/** Every edge that is drawn, with the rate that it carries. */
export async function edgesOnScreen(page: Page): Promise<EdgeOnScreen[]> {
  return page.locator('[data-test=edge]').evaluateAll((edges) =>
    edges.map((edge) => ({
      source: edge.getAttribute('data-source') ?? '',
      target: edge.getAttribute('data-target') ?? '',
      rate: Number(edge.getAttribute('data-rate')),
      protocol: edge.getAttribute('data-protocol') ?? '',
    })),
  );
}

/** `source → target`, sorted, for comparing with a literal list. */
export async function arrowsOnScreen(page: Page): Promise<string[]> {
  return (await edgesOnScreen(page)).map((edge) => `${edge.source} → ${edge.target}`).sort();
}

/** The rate of one edge; 0 when it is not drawn. */
export async function rateOnScreen(page: Page, source: string, target: string): Promise<number> {
  const found = (await edgesOnScreen(page)).find((edge) => edge.source === source && edge.target === target);
  return found?.rate ?? 0;
}
