// A second start on the same data goes on with its history; nothing of the first is left running.
import { expect, test } from '@playwright/test';
import { rm } from 'node:fs/promises';
import { Demo } from '../support/demo.ts';

test('a second start keeps the edits and their history', async ({ request }) => {
  const first = await Demo.start({ rps: 10 });
  const object = `${first.url}/api/config/VirtualService/bookinfo/reviews`;
  const before = await (await request.get(object)).json();
  const saved = await request.put(object, {
    data: { yaml: before.yaml.replace(/weight: 34/, 'weight: 34 # kept'), message: 'a remark', base_revision: before.revision },
  });
  expect(saved.status()).toBe(200);
  await first.stop(true);

  const second = await Demo.start({ rps: 10, dataDir: first.dataDir });
  try {
    const after = await (await request.get(object)).json();
    expect(after.yaml).toContain('weight: 34 # kept');
    expect(after.revision).toBe(before.revision + 1);
    const history = await (await request.get(`${object}/history`)).json();
    expect(history.revisions.map((r: { message: string }) => r.message)[0]).toBe('a remark');
    // What the first run saw is still in the graph of the last hour.
    const graph = await (await request.get(`${second.url}/api/namespaces/graph?namespaces=bookinfo&duration=1h&graphType=workload`)).json();
    expect(graph.elements.edges.length).toBeGreaterThanOrEqual(6);
  } finally {
    await second.stop();
    await rm(first.dataDir, { recursive: true, force: true });
  }
});
