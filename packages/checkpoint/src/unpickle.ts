import { DmaeError } from "@dmae/core";
import { PickleCursor } from "./pickle-cursor.ts";
import {
  callGlobal,
  type Fail,
  isKnownGlobal,
  type PickleContext,
  type Spend,
  storageOf,
} from "./pickle-globals.ts";
import {
  PickleGlobal,
  PickleInstance,
  type PickleStorage,
  type PickleValue,
} from "./pickle-values.ts";

/** Caps for {@link unpickle}. @internal */
export interface PickleLimits {
  /** Steps the pickle may take; each makes one small value at most. */
  readonly maxSteps: number;
  /** Further globals to keep as inert data, `module.name`. */
  readonly allowGlobals: readonly string[];
}

/** What a pickle holds. @internal */
export interface Unpickled {
  readonly value: PickleValue;
  /** The storages that its tensors look into, by key. */
  readonly storages: ReadonlyMap<string, PickleStorage>;
  /** One past its last byte. */
  readonly end: number;
}

/**
 * Reads the pickle at `start` as data. It knows the opcodes of protocols 2 to 5 that data need; a class or a
 * function is only ever a name. Calls of the few that make tensors are worked out here, calls of any
 * other are noted, and unless they are allowed the pickle is refused with all their names.
 *
 * @throws DmaeError "unsupported" for globals that tensors do not need; "file" for a damaged pickle, with
 *   `isCut` in its details where the bytes end before it
 * @internal
 */
export function unpickle(
  caller: string,
  bytes: Uint8Array,
  limits: PickleLimits,
  start = 0,
): Unpickled {
  const unknown = new Set<string>();
  const fail: Fail = (reason, details = {}) => {
    if (unknown.size > 0 && !details.isCut) throw refusal(caller, unknown);
    throw damagedPickle(caller, reason, details);
  };
  const notice = (global: string) => {
    if (!isKnownGlobal(global) && !limits.allowGlobals.includes(global)) unknown.add(global);
    if (unknown.size > 100) throw refusal(caller, unknown);
  };
  let steps = 0;
  const spend: Spend = (count) => {
    steps += count;
    if (steps > limits.maxSteps) fail(`it takes more than ${limits.maxSteps} steps`);
  };
  const storages = new Map<string, PickleStorage>();
  const cursor = new PickleCursor(bytes, fail, start);
  const machine = new Machine(cursor, { fail, spend, storages }, notice);
  while (machine.result === undefined) {
    spend(1);
    machine.step();
  }
  if (unknown.size > 0) throw refusal(caller, unknown);
  return { value: machine.result, storages, end: cursor.position };
}

/** @internal */
export function damagedPickle(caller: string, reason: string, details = {}): DmaeError {
  return new DmaeError(
    "file",
    `${caller}: the pickle is damaged or of another kind: ${reason}`,
    details,
  );
}

function refusal(caller: string, unknown: ReadonlySet<string>): DmaeError {
  const names = [...unknown];
  return new DmaeError(
    "unsupported",
    `${caller}: the pickle names ${names.join(", ")}, which tensors do not need; nothing was executed. If they are harmless, allowGlobals: ${JSON.stringify(names)} keeps such objects as plain data`,
    { globals: names },
  );
}

type Opcode = (machine: Machine) => void;

/** The pickle's stack machine: a stack, marks in it, a memo. */
class Machine {
  result: PickleValue | undefined;
  readonly fail: Fail;
  readonly stack: PickleValue[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();

  constructor(
    readonly cursor: PickleCursor,
    readonly context: PickleContext,
    private readonly notice: (global: string) => void,
  ) {
    this.fail = context.fail;
  }

  step(): void {
    const code = this.cursor.uint8();
    const opcode = opcodes[code];
    if (!opcode) this.fail(`opcode 0x${code.toString(16)} at byte ${this.cursor.position - 1}`);
    opcode!(this);
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    return this.stack.length > this.floor() ? this.stack.pop()! : this.fail("its stack runs empty");
  }

  top(): PickleValue {
    return this.stack.length > this.floor() ? this.stack.at(-1)! : this.fail("its stack is empty");
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  /** Takes what lies above the last mark. */
  toMark(): PickleValue[] {
    const mark = this.marks.pop() ?? this.fail("it has no mark");
    return this.stack.splice(mark);
  }

  private floor(): number {
    return this.marks.at(-1) ?? 0;
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  memoize(): void {
    this.remember(this.memo.size);
  }

  recall(index: number): void {
    this.push(this.memo.has(index) ? this.memo.get(index)! : this.fail(`no memo ${index}`));
  }

  global(module: PickleValue, name: PickleValue): void {
    if (typeof module !== "string" || typeof name !== "string")
      this.fail("it names a global by what is no text");
    if (module.length + name.length > 500) this.fail("it names a global with a very long name");
    this.notice(`${module}.${name}`);
    this.push(new PickleGlobal(`${module}.${name}`));
  }

  tuple(length: number): void {
    const items = Array.from({ length }, () => this.pop());
    this.push(items.reverse());
  }

  append(items: PickleValue[]): void {
    const top = this.top();
    const list = top instanceof PickleInstance ? (top.items ??= []) : top;
    if (!Array.isArray(list)) this.fail("it appends to what is no list");
    for (const item of items) list.push(item);
  }

  set(pairs: PickleValue[]): void {
    const top = this.top();
    const map = top instanceof PickleInstance ? (top.entries ??= new Map()) : top;
    if (!(map instanceof Map) || pairs.length % 2 !== 0)
      this.fail("it sets entries of what is no dict");
    for (let i = 0; i < pairs.length; i += 2) map.set(pairs[i]!, pairs[i + 1]!);
  }

  add(items: PickleValue[]): void {
    const set = this.top();
    if (set instanceof PickleInstance) this.append(items);
    else if (set instanceof Set) for (const item of items) set.add(item);
    else this.fail("it adds to what is no set");
  }

  call(): void {
    const args = this.pop();
    this.push(callGlobal(this.pop(), args, this.context));
  }

  /** Sets an object's attributes. Those of an OrderedDict (`_metadata`) are of no use here. */
  build(): void {
    const state = this.pop();
    const target = this.top();
    if (target instanceof PickleInstance) target.state = state;
    else if (!(target instanceof Map)) this.fail("it sets attributes of what has none");
  }

  stop(): void {
    this.result = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) this.fail("it leaves values behind");
  }
}

const opcodes: (Opcode | undefined)[] = [];
const on = (code: number | string, opcode: Opcode) => {
  opcodes[typeof code === "string" ? code.charCodeAt(0) : code] = opcode;
};

// Frame and end
on(0x80, (m) => {
  const protocol = m.cursor.uint8();
  if (protocol > 5) m.fail(`protocol ${protocol}`);
});
on(0x95, (m) => void m.cursor.length64()); // FRAME: its length only helps to read ahead
on(".", (m) => m.stop());

// Constants and numbers
on("N", (m) => m.push(null));
on(0x88, (m) => m.push(true));
on(0x89, (m) => m.push(false));
on("K", (m) => m.push(m.cursor.uint8()));
on("M", (m) => m.push(m.cursor.uint16()));
on("J", (m) => m.push(m.cursor.int32()));
on(0x8a, (m) => m.push(m.cursor.integer(m.cursor.uint8())));
on(0x8b, (m) => m.push(m.cursor.integer(m.cursor.uint32())));
on("G", (m) => m.push(m.cursor.float64()));

// Text and bytes
on("X", (m) => m.push(m.cursor.text(m.cursor.uint32())));
on(0x8c, (m) => m.push(m.cursor.text(m.cursor.uint8())));
on(0x8d, (m) => m.push(m.cursor.text(m.cursor.length64())));
on("U", (m) => m.push(m.cursor.text(m.cursor.uint8()))); // str of Python 2
on("T", (m) => m.push(m.cursor.text(m.cursor.uint32())));
on("C", (m) => m.push(m.cursor.take(m.cursor.uint8())));
on("B", (m) => m.push(m.cursor.take(m.cursor.uint32())));
on(0x8e, (m) => m.push(m.cursor.take(m.cursor.length64())));
on(0x96, (m) => m.push(m.cursor.take(m.cursor.length64())));

// Stack and memo
on("(", (m) => m.mark());
on("0", (m) => void m.pop());
on("1", (m) => void m.toMark());
on("2", (m) => m.push(m.top()));
on("q", (m) => m.remember(m.cursor.uint8()));
on("r", (m) => m.remember(m.cursor.uint32()));
on(0x94, (m) => m.memoize());
on("h", (m) => m.recall(m.cursor.uint8()));
on("j", (m) => m.recall(m.cursor.uint32()));

// Collections
on(")", (m) => m.push([]));
on("t", (m) => m.push(m.toMark()));
on(0x85, (m) => m.tuple(1));
on(0x86, (m) => m.tuple(2));
on(0x87, (m) => m.tuple(3));
on("]", (m) => m.push([]));
on("l", (m) => m.push(m.toMark()));
on("a", (m) => m.append([m.pop()]));
on("e", (m) => m.append(m.toMark()));
on("}", (m) => m.push(new Map()));
on("d", (m) => {
  const pairs = m.toMark();
  m.push(new Map());
  m.set(pairs);
});
on("s", (m) => {
  const value = m.pop();
  m.set([m.pop(), value]);
});
on("u", (m) => m.set(m.toMark()));
on(0x8f, (m) => m.push(new Set()));
on(0x90, (m) => m.add(m.toMark()));
on(0x91, (m) => m.push(new Set(m.toMark())));

// Names, calls, objects
on("c", (m) => m.global(m.cursor.line(), m.cursor.line()));
on(0x93, (m) => {
  const name = m.pop();
  m.global(m.pop(), name);
});
on("R", (m) => m.call());
on(0x81, (m) => m.call()); // NEWOBJ: cls.__new__(cls, *args)
on("b", (m) => m.build());
on("Q", (m) => m.push(storageOf(m.pop(), m.context)));
