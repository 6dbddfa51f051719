import { crc32 as zlibCrc32, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../src/core/crc32'
import { half } from '../src/core/half'
import { PageError, readManifest, type BlobEntry, type Manifest } from '../src/core/manifest'
import { InlineSource } from '../src/core/source'
import { completed, dequantise, numbers, unpack } from '../src/core/unpack'

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 37) % 251)
const entry = (content: Uint8Array, more: Partial<BlobEntry> = {}): BlobEntry => ({
  codec: 'gzip',
  dtype: 'u8',
  shape: [content.length],
  scale: null,
  bytes: content.length,
  crc32: zlibCrc32(content),
  ...more,
})
const packed = (content: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(gzipSync(content))

/** A page that holds the texts under their ids. */
const page = (
  texts: Record<string, string>,
  readyState: DocumentReadyState = 'complete',
): { getElementById(id: string): HTMLElement | null; readyState: DocumentReadyState } => ({
  getElementById: (id: string) => (id in texts ? ({ textContent: texts[id] } as HTMLElement) : null),
  readyState,
})

test('crc32 is the standard one', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
  expect(crc32(bytes)).toBe(zlibCrc32(bytes))
})

test('halves: one, a third, the smallest, infinity', () => {
  expect([0x3c00, 0xbc00, 0x3555, 0x0001, 0x7c00].map(half)).toEqual([1, -1, 0.333251953125, 2 ** -24, Infinity])
})

describe('unpack', () => {
  test('gives back what was packed', async () => {
    expect(await unpack({ name: 'x', entry: entry(bytes), packed: packed(bytes) })).toEqual(bytes)
    expect(await unpack({ name: 'x', entry: entry(bytes, { codec: 'raw' }), packed: bytes })).toEqual(bytes)
  })

  test('puts numbers together whose first bytes came before their second', async () => {
    const laid = Uint8Array.of(1, 2, 3, 10, 20, 30, 7)
    const given = entry(laid, { planes: 2 })
    expect([...(await unpack({ name: 'x', entry: given, packed: packed(laid) }))]).toEqual([1, 10, 2, 20, 3, 30, 7])
  })

  test('refuses what breaks off, what is too short, what was changed', async () => {
    const cut = packed(bytes).slice(0, 80)
    await expect(unpack({ name: 'x', entry: entry(bytes), packed: cut })).rejects.toThrow(/incomplete/)
    const short = bytes.slice(0, 900)
    await expect(unpack({ name: 'x', entry: entry(bytes, { codec: 'raw' }), packed: short })).rejects.toThrow(/900 of 1,000/)
    const changed = bytes.map((byte, i) => (i === 500 ? byte ^ 1 : byte))
    await expect(unpack({ name: 'x', entry: entry(bytes, { codec: 'raw' }), packed: changed })).rejects.toThrow(/damaged/)
    await expect(unpack({ name: 'x', entry: entry(bytes), packed: packed(changed) })).rejects.toThrow(/damaged/)
  })
})

test('quantised numbers come back by column', () => {
  const codes = Uint16Array.of(0, 65535, 65535, 0)
  expect([...dequantise(codes, [[-1, 3], [10, 20]])]).toEqual([-1, 20, 3, 10])
})

test('floats keep their values', () => {
  const floats = Float32Array.of(1.5, -2)
  const entryOf = { ...entry(new Uint8Array(floats.buffer)), dtype: 'f32' as const }
  expect([...numbers(entryOf, new Uint8Array(floats.buffer))]).toEqual([1.5, -2])
})

describe('the source of a page', () => {
  const manifest = { schema: 1, live: false, blobs: { x: entry(bytes) } } as unknown as Manifest

  test('reads a blob', async () => {
    const base64 = Buffer.from(packed(bytes)).toString('base64')
    expect(await new InlineSource(manifest, page({ 'blob-x': `\n${base64}\n` })).bytes('x')).toEqual(bytes)
  })

  test('waits for a blob that is still being read', async () => {
    const base64 = Buffer.from(packed(bytes)).toString('base64')
    const slot = { textContent: base64.slice(0, 40) } as HTMLElement
    const given = { getElementById: () => slot, readyState: 'loading' as const }
    const found = new InlineSource(manifest, given).bytes('x')
    await new Promise((resolve) => setTimeout(resolve, 10))
    Object.assign(slot, { textContent: base64, nextSibling: {} })
    expect(await found).toEqual(bytes)
  })

  test('says what is missing, once all has been read', async () => {
    await expect(new InlineSource(manifest, page({})).bytes('x')).rejects.toThrow(/“x” is missing/)
    await expect(new InlineSource(manifest, page({})).whole()).rejects.toThrow(/its end is missing/)
    await new InlineSource(manifest, page({ end: '' })).whole()
    const given = page({}, 'loading')
    const whole = new InlineSource(manifest, given).whole()
    await new Promise((resolve) => setTimeout(resolve, 10))
    Object.assign(given, page({ end: '' }, 'interactive'))
    await whole
  })

  test('refuses another schema and a manifest that breaks off', () => {
    expect(() => readManifest('{"schema": 2}')).toThrow(/schema 2/)
    expect(() => readManifest('{"schema": 1, "da')).toThrow(PageError)
  })
})

test('runs that another blob has come back to their places', () => {
  const whole = Uint8Array.of(1, 2, 30, 31, 32, 3, 40, 41)
  const other = Uint8Array.of(0, 40, 41, 30, 31, 32, 9)
  expect([...completed(Uint8Array.of(1, 2, 3), [[2, 3, 3], [6, 1, 2]], other)]).toEqual([...whole])
  expect([...completed(whole, undefined, null)]).toEqual([...whole])
})
