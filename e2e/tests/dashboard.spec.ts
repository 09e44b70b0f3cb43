// The walk of a newcomer: the demo starts, its graph is on the screen, an edited weight moves the traffic, a roll back moves it back.
import { expect, test, type Page } from '@playwright/test';
import { Demo } from '../support/demo.ts';
import { arrowsOnScreen, edgesOnScreen, rateOnScreen } from '../support/graph.ts';

const BOOKINFO = [
  'istio-ingressgateway → productpage/v1',
  'productpage/v1 → details/v1',
  'productpage/v1 → reviews/v1',
  'productpage/v1 → reviews/v2',
  'productpage/v1 → reviews/v3',
  'reviews/v2 → ratings/v1',
  'reviews/v3 → ratings/v1',
];

const REVIEWS = '/config/virtualservice/bookinfo/reviews';

let demo: Demo;
/** What the browser complained about: no test may leave anything here. */
let complaints: string[] = [];

test.describe.configure({ mode: 'serial' });
test.beforeAll(async () => {
  demo = await Demo.start({ rps: 20 });
});
test.afterAll(async () => {
  await demo?.stop();
});
test.beforeEach(({ page }) => {
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
});

/** Replaces the text of the editor as somebody who pastes would. */
async function writeYaml(page: Page, change: (text: string) => string): Promise<void> {
  const detail = await page.request.get(`${demo.url}/api/config/VirtualService/bookinfo/reviews`);
  const text = change((await detail.json()).yaml);
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
}

/** Gives version `v1`, `v2`, `v3` these weights, in the order of the file. */
function weights(text: string, values: [number, number, number]): string {
  let next = 0;
  return text.replace(/weight: \d+/g, () => `weight: ${values[next++]}`);
}

/** Which versions of reviews the page sends requests to, from one look at the screen. */
async function reviewsOnScreen(page: Page): Promise<Record<string, boolean>> {
  const edges = await edgesOnScreen(page);
  const called = (version: string) => edges.some((e) => e.source === 'productpage/v1' && e.target === `reviews/${version}` && e.rate > 0);
  return { v1: called('v1'), v2: called('v2'), v3: called('v3') };
}

test('s4a the graph shows every edge of Bookinfo with its rate', async ({ page }) => {
  await page.goto(`${demo.url}/graph`);
  await expect.poll(() => arrowsOnScreen(page)).toEqual(expect.arrayContaining(BOOKINFO));
  const edges = await edgesOnScreen(page);
  for (const edge of edges) expect(edge.protocol).toBe('http');
  // Names are on the screen as text, without a hover.
  for (const name of ['productpage', 'details', 'ratings', 'istio-ingressgateway']) {
    await expect(page.locator('[data-test=node]', { hasText: name }).first()).toBeVisible();
  }
  await expect(page.locator('[data-test=node][data-app=reviews]')).toHaveCount(3);
  expect(complaints).toEqual([]);
});

test('the rates on the screen add up along the way of a request', async ({ page }) => {
  await page.goto(`${demo.url}/graph?duration=60`);
  await expect.poll(async () => rateOnScreen(page, 'productpage/v1', 'details/v1')).toBeGreaterThan(1);
  // One page asks details once and reviews once, whatever the version: at any moment the two sums stand for the same requests.
  await expect
    .poll(async () => {
      const edges = await edgesOnScreen(page);
      const sum = (target: string) =>
        edges.filter((e) => e.source === 'productpage/v1' && e.target.startsWith(target)).reduce((total, e) => total + e.rate, 0);
      return Math.abs(sum('reviews/') - sum('details/')) / sum('details/');
    })
    .toBeLessThan(0.1);
});

test('an edge tells its rate, codes and time in the side panel', async ({ page }) => {
  await page.goto(`${demo.url}/graph`);
  const edge = page.locator('[data-test=edge][data-source="productpage/v1"][data-target="details/v1"]');
  await expect(edge).toHaveCount(1);
  await edge.focus();
  await page.keyboard.press('Enter');
  const panel = page.locator('[data-test=panel]');
  await expect(panel.getByRole('heading')).toContainText(['productpage']);
  await expect(panel).toContainText('HTTP edge');
  await expect(panel).toContainText('p95');
  await expect(panel).toContainText('200');
  // The selection is in the address, so it survives a reload.
  expect(page.url()).toContain('edge=');
  await page.reload();
  await expect(page.locator('[data-test=panel]')).toContainText('HTTP edge');
});

test('a graph type and a namespace are kept in the address', async ({ page }) => {
  await page.goto(`${demo.url}/graph?graphType=service&namespaces=bookinfo`);
  await expect(page.locator('[data-test=node][data-service=reviews]')).toHaveCount(1);
  await page.locator('[data-test=type-app]').click();
  await expect(page).toHaveURL(/graphType=app/);
  await expect(page.locator('[data-test=node][data-app=reviews]')).toHaveCount(1);
});

test('an unknown subset is marked at its line and cannot be saved', async ({ page }) => {
  await page.goto(`${demo.url}${REVIEWS}`);
  await expect(page.locator('.cm-content')).toContainText('reviews');
  await writeYaml(page, (text) => text.replace('subset: v2', 'subset: v9'));
  const finding = page.locator('[data-test=finding]', { hasText: 'v9' });
  await expect(finding).toBeVisible();
  const line = Number(await finding.getAttribute('data-line'));
  await expect(page.locator('.cm-line').nth(line - 1)).toContainText('subset: v9');
  await expect(page.locator('.cm-lint-marker-error')).toHaveCount(1);
  await expect(page.locator('[data-test=save]')).toBeDisabled();
  await page.locator('[data-test=discard]').click();
  await expect(page.locator('[data-test=finding]', { hasText: 'v9' })).toHaveCount(0);
});

test('s4b an edited weight reaches the proxies and moves the traffic on the screen', async ({ page }) => {
  await page.goto(`${demo.url}${REVIEWS}`);
  await expect(page.locator('.cm-content')).toContainText('reviews');
  await writeYaml(page, (text) => weights(text, [0, 0, 100]));
  await page.locator('[data-test=message]').fill('all traffic to v3');
  await expect(page.locator('[data-test=save]')).toBeEnabled();
  await page.locator('[data-test=save]').click();
  await expect(page.locator('[data-test=rollout]')).toHaveClass(/ok/);

  // Thirty seconds of window: what was sent before the edit leaves it. One look must show all of it, or an empty page would do.
  await page.goto(`${demo.url}/graph?duration=30&refresh=2`);
  await expect.poll(() => reviewsOnScreen(page), { timeout: 90_000 }).toEqual({ v1: false, v2: false, v3: true });
  await expect.poll(() => rateOnScreen(page, 'productpage/v1', 'reviews/v3')).toBeGreaterThan(15);
});

test('the history shows the edit and rolls it back', async ({ page }) => {
  await page.goto(`${demo.url}${REVIEWS}?tab=history`);
  await expect(page.locator('[data-test=revision]').first()).toContainText('all traffic to v3');
  await expect(page.locator('[data-test=diff]')).toContainText('weight: 100');
  await page.locator('[data-test=rollback]').click();
  await expect(page.locator('[data-test=revision]')).toHaveCount(3);
  await page.goto(`${demo.url}/graph?duration=30&refresh=2`);
  await expect.poll(() => reviewsOnScreen(page), { timeout: 90_000 }).toEqual({ v1: true, v2: true, v3: true });
  await expect.poll(() => rateOnScreen(page, 'productpage/v1', 'reviews/v3'), { timeout: 90_000 }).toBeLessThan(12);
});

test('the configuration list opens an object and the page is readable in Chinese and in the dark', async ({ page }) => {
  await page.goto(`${demo.url}/config`);
  await expect(page.locator('[data-test=object-row]')).not.toHaveCount(0);
  await page.locator('[data-test=language]').click();
  await expect(page.locator('h1')).toContainText('配置');
  await page.locator('[data-test=theme]').click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', /dark|light/);
  await page.locator('[data-test=object-row][data-name=bookinfo-gateway] a').click();
  await expect(page).toHaveURL(/\/config\/gateway\/bookinfo\/bookinfo-gateway/);
  await page.locator('[data-test=language]').click();
  expect(complaints).toEqual([]);
});

test('every proxy is listed and runs the newest configuration', async ({ page }) => {
  await page.goto(`${demo.url}/mesh`);
  for (const workload of ['productpage-v1', 'details-v1', 'reviews-v1', 'reviews-v2', 'reviews-v3', 'ratings-v1', 'istio-ingressgateway']) {
    await expect(page.getByText(workload).first()).toBeVisible();
  }
  const answer = await (await page.request.get(`${demo.url}/api/proxies`)).json();
  for (const proxy of answer.proxies) {
    for (const type of ['CDS', 'EDS', 'LDS', 'RDS']) {
      if (type in proxy.types) expect(proxy.types[type].state, `${proxy.name} ${type}`).toBe('synced');
    }
  }
});

test('the product page comes through the gateway, logged in or not', async ({ page }) => {
  await page.goto(`${demo.gateway}/productpage`);
  await expect(page.locator('body')).toContainText('The Comedy of Errors');
});
