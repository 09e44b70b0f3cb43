// From the list of traces to the one span that is looked at: every step is read off the screen and held against the API.
import { expect, test } from '@playwright/test';
import { Demo } from '../support/demo.ts';

let demo: Demo;
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
test.afterEach(() => expect(complaints).toEqual([]));

test('the list shows traces, and a row opens its waterfall', async ({ page }) => {
  await page.goto(`${demo.url}/traces?duration=300`);
  await expect.poll(() => page.locator('[data-test=trace-row]').count()).toBeGreaterThan(5);
  await page.locator('[data-test=pause]').click();
  const row = page.locator('[data-test=trace-row]').first();
  const id = await row.getAttribute('data-trace');
  await row.click();
  await expect(page.locator('[data-test=trace-id]')).toHaveText(id!);

  const answer = await page.request.get(`${demo.url}/api/traces/${id}`);
  const trace = await answer.json();
  const spans = page.locator('[data-test=span]');
  await expect(spans).toHaveCount(trace.spans.length);
  const depths = await spans.evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-depth'))));
  expect(depths).toEqual(trace.spans.map((span: { depth: number }) => span.depth));

  // The root folds all others away, by the keyboard too.
  await spans.first().click();
  await expect(page.locator('[data-test=panel]')).toContainText(String(trace.spans[0].tags.find((tag: { key: string }) => tag.key === 'http.status_code').value));
  await page.keyboard.press('ArrowLeft');
  await expect(spans).toHaveCount(1);
  await page.keyboard.press('ArrowRight');
  await expect(spans).toHaveCount(trace.spans.length);
  await page.keyboard.press('ArrowDown');
  await expect(page).toHaveURL(new RegExp(`node=${trace.spans[1].span_id}`));
});

test('a search that fits nothing says so, and one that is not understood names the word', async ({ page }) => {
  await page.goto(`${demo.url}/traces?duration=300`);
  const field = page.locator('[data-test=trace-search]');
  await field.fill('service:nobody.nowhere');
  await expect(page.locator('[data-test=empty]')).toBeVisible();
  await field.fill('slow');
  await expect(page.locator('[role=alert]')).toContainText('“slow”');
  await field.fill('service:ratings.bookinfo');
  await expect.poll(() => page.locator('[data-test=trace-row]').count()).toBeGreaterThan(0);
});

test('an unknown trace is told of', async ({ page }) => {
  await page.goto(`${demo.url}/traces/00000000000000000000000000000001`);
  await expect(page.locator('[data-test=failed]')).toContainText('there is no trace');
  // The browser itself complains about the 404 that this test asks for.
  complaints = complaints.filter((text) => !text.includes('404'));
});
