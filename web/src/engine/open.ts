/** What a page describes: a file that is complete in itself, or a view of a run on a server. */

import { readManifest } from '../core/manifest'
import { InlineSource, type Page } from '../core/source'
import type { Backend } from './backend'
import { PageBackend } from './page'
import { PlayBackend } from './play'
import { HttpSource, ServerBackend } from './server'
import NetworkWorker from './worker?worker&inline'

const worker = (): Worker => new NetworkWorker()

/** What stands behind a page; PageError when its description breaks off. */
export function openBackend(page: Page): Backend {
  const manifest = readManifest(page.getElementById('manifest')?.textContent ?? '')
  if (manifest.play) return new PlayBackend(new HttpSource(manifest), worker)
  return manifest.live
    ? new ServerBackend(new HttpSource(manifest), worker)
    : new PageBackend(new InlineSource(manifest, page), worker)
}
