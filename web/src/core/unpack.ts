/** From what is embedded in the page to arrays of numbers, checked on the way. */

import { crc32 } from './crc32'
import { halves } from './half'
import { PageError, type BlobEntry as Entry, type Range } from './manifest'

interface Base64Bytes {
  fromBase64?: (text: string) => Uint8Array<ArrayBuffer>
}

/** The bytes of a base64 text. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const native = (Uint8Array as Base64Bytes).fromBase64
  if (native) return native(text)
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** A blob on its way to whoever unpacks it: the page, or the worker. */
export interface Parcel {
  name: string
  entry: Entry
  packed: Uint8Array<ArrayBuffer>
}

/** The unpacked bytes of a blob; PageError when they are not what was packed. */
export async function unpack({ name, entry, packed }: Parcel): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = entry.codec === 'gzip' ? await gunzip(name, packed) : packed
  const found = entry.codec === 'gzip' ? gzipChecksum(packed) : crc32(bytes)
  verify(name, entry, bytes, found)
  return numbered(bytes, entry.planes ?? 1)
}

/** The bytes number by number, where the first bytes of all numbers came before the second. */
function numbered(laid: Uint8Array<ArrayBuffer>, planes: number): Uint8Array<ArrayBuffer> {
  if (planes === 1) return laid
  const count = Math.floor(laid.length / planes)
  const bytes = laid.slice()
  for (let rank = 0; rank < planes; rank++)
    for (let n = 0, from = rank * count; n < count; n++) bytes[n * planes + rank] = laid[from + n]
  return bytes
}

/** The bytes with the runs put back that another blob has. */
export function completed(
  rest: Uint8Array<ArrayBuffer>,
  runs: Entry['shared'],
  other: Uint8Array | null,
): Uint8Array<ArrayBuffer> {
  if (!runs?.length || !other) return rest
  const bytes = new Uint8Array(runs.reduce((sum, [, , length]) => sum + length, rest.length))
  let [from, to] = [0, 0]
  for (const [at, there, length] of runs) {
    bytes.set(rest.subarray(from, from + at - to), to)
    bytes.set(other.subarray(there, there + length), at)
    from += at - to
    to = at + length
  }
  bytes.set(rest.subarray(from), to)
  return bytes
}

/** PageError unless length and checksum are the manifest's. */
export function verify(name: string, entry: Entry, bytes: Uint8Array, found = crc32(bytes)): void {
  if (bytes.length !== entry.bytes) throw incomplete(name, bytes.length, entry.bytes)
  if (found !== entry.crc32) throw damaged(name)
}

async function gunzip(
  name: string,
  packed: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const stream = new Response(packed).body!.pipeThrough(new DecompressionStream('gzip'))
    return new Uint8Array(await new Response(stream).arrayBuffer())
  } catch {
    throw damaged(name)
  }
}

/** The checksum gzip itself carries: the stream has just been held to it. */
function gzipChecksum(packed: Uint8Array): number {
  const tail = packed.subarray(packed.length - 8)
  return new DataView(tail.buffer, tail.byteOffset).getUint32(0, true)
}

const incomplete = (name: string, got: number, expected: number): PageError =>
  new PageError(
    `This file is incomplete: “${name}” holds ${got.toLocaleString('en')} of ` +
      `${expected.toLocaleString('en')} bytes. Copy or save it again.`,
  )

const damaged = (name: string): PageError =>
  new PageError(`This file is incomplete or damaged: “${name}” fails its check. Copy or save it again.`)

const INTEGERS = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array }

/** The numbers as stored: codes where they are quantised, float32 where they are floats. */
export function numbers(
  entry: Entry,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array | Uint16Array | Uint32Array | Float32Array {
  if (entry.dtype === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  if (entry.dtype === 'f16') return halves(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2))
  if (entry.dtype === 'file') return bytes
  const Kind = INTEGERS[entry.dtype]
  return new Kind(bytes.buffer, bytes.byteOffset, bytes.length / Kind.BYTES_PER_ELEMENT)
}

/** The numbers behind codes: lo + q / top · (hi − lo), with one range per column. */
export function dequantise(codes: Uint8Array | Uint16Array, scale: Range[]): Float32Array {
  const top = codes.BYTES_PER_ELEMENT === 1 ? 255 : 65535
  const values = new Float32Array(codes.length)
  const columns = scale.length
  scale.forEach(([lo, hi], column) => {
    for (let i = column; i < codes.length; i += columns) values[i] = lo + (codes[i] / top) * (hi - lo)
  })
  return values
}
