// Starts `sidelight demo` on ports and loopback addresses of its own, and proves on the way out that nothing is left.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 30_000;

export interface DemoOptions {
  /** Keep the data of an earlier start. */
  dataDir?: string;
  rps?: number;
}

export class Demo {
  private constructor(
    readonly url: string,
    readonly gateway: string,
    readonly dataDir: string,
    private readonly child: ChildProcess,
    private readonly ports: number[],
  ) {}

  static async start(options: DemoOptions = {}): Promise<Demo> {
    const binary = process.env.SIDELIGHT ?? path.resolve('../target/debug/sidelight');
    const dataDir = options.dataDir ?? (await mkdtemp(path.join(os.tmpdir(), 'sidelight-e2e-')));
    const [port, gateway, xds, zipkin] = [21001, 21080, 21010, 21411];
    const child = spawn(
      binary,
      [
        'demo', '--port', `${port}`, '--gateway-port', `${gateway}`, '--xds-port', `${xds}`, '--zipkin-port', `${zipkin}`,
        '--loopback-base', '127.21.0.0', '--data-dir', dataDir, '--rps', `${options.rps ?? 20}`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const url = await dashboardLine(child);
    return new Demo(url, `http://127.0.0.1:${gateway}`, dataDir, child, [port, gateway, xds, zipkin]);
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Ends the demo as Ctrl-C does; fails when a process or a port stays behind. */
  async stop(keepData = false): Promise<void> {
    const family = await descendants(this.pid);
    const ended = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.kill('SIGINT');
    await within(STOP_LIMIT_MS, ended, 'the demo did not end after SIGINT');
    const left = [];
    for (const pid of family) if (await isAlive(pid)) left.push(pid);
    if (left.length > 0) throw new Error(`processes left behind: ${left.join(', ')}`);
    for (const port of this.ports) if (await answers(port)) throw new Error(`port ${port} is still taken`);
    if (!keepData) await rm(this.dataDir, { recursive: true, force: true });
  }
}

function dashboardLine(child: ChildProcess): Promise<string> {
  let said = '';
  const line = new Promise<string>((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      const found = /^dashboard: (http:\/\/\S+)$/m.exec(said);
      if (found) resolve(found[1]);
    };
    child.stdout!.on('data', hear);
    child.stderr!.on('data', hear);
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code} before its dashboard answered:\n${said}`)));
    child.once('error', reject);
  });
  return within(START_LIMIT_MS, line, () => `the demo printed no dashboard line:\n${said}`);
}

async function within<T>(limitMs: number, work: Promise<T>, what: string | (() => string)): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(typeof what === 'string' ? what : what())), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

async function descendants(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const own = children.trim().split(/\s+/).filter(Boolean).map(Number);
  const below = await Promise.all(own.map(descendants));
  return [...own, ...below.flat()];
}

async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // A zombie has ended; only its parent has not looked yet.
  return status !== '' && !/\) Z /.test(status);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}
