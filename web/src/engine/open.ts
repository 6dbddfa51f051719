/** What a page describes: a file that is complete in itself, or a view of a run on a server. */

import { readManifest } from '../core/manifest'
import { InlineSource, type DataSource, type Page } from '../core/source'
import type { Backend } from './backend'
import { Engine } from './engine'
import { PageBackend } from './page'
import { PlayBackend } from './play'
import type { Frame, Play } from './frames'
import { HttpSource, ServerBackend } from './server'
import { PagePlay, type Pictures } from './train'
import NetworkWorker from './worker?worker&inline'

const worker = (): Worker => new NetworkWorker()

/** A training in a page whose run can be trained anew: its backend's source describes the images that are held out. */
export async function openTraining(
  saved: DataSource,
  pictures: Pictures,
  describe: (first: Frame, play: Play) => DataSource,
): Promise<PlayBackend> {
  const { manifest } = saved
  const play = new PagePlay(manifest.trainable!, manifest.model.latent, pictures, new Engine(manifest, worker()), saved)
  try {
    return new PlayBackend(describe(await play.prepare(), play), worker, play, true)
  } catch (error) {
    play.close()
    throw error
  }
}

/** What stands behind a page; PageError when its description breaks off. */
export function openBackend(page: Page): Backend {
  const manifest = readManifest(page.getElementById('manifest')?.textContent ?? '')
  if (manifest.play) return new PlayBackend(new HttpSource(manifest), worker)
  return manifest.live
    ? new ServerBackend(new HttpSource(manifest), worker)
    : new PageBackend(new InlineSource(manifest, page), worker)
}
