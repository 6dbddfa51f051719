/** Whether a model has learned anything to explore, in one sentence where it has not. */

import { variances } from './moments'
import { mean } from './rows'

/** What is known of a model and its images. */
export interface Learned {
  latents: Float32Array
  logVars: Float32Array | null
  D: number
  /** Mean squared error of the reconstructions of some images, and the variance of their pixels about their mean. */
  error: number | null
  variance: number | null
}

/** Share of the spread of z that an active dimension owes to the images (Burda et al. 2016 ask for a variance of 0.01). */
const ACTIVE = 0.01
/** Share of the images' variance that reconstructions must explain. */
const EXPLAINED = 0

/** Which dimensions depend on the image: by the variance of the codes within that of all draws of z. */
export function active({ latents, logVars, D }: Pick<Learned, 'latents' | 'logVars' | 'D'>): boolean[] {
  const between = Array.from(variances(latents, D, mean(latents, D)))
  const within = logVars ? Array.from(mean(logVars.map(Math.exp), D)) : between.map(() => 0)
  return between.map((variance, d) => variance > ACTIVE * (variance + within[d]) && variance > 0)
}

/** The sentence; null where there is nothing to say. */
export function doubt(learned: Learned): string | null {
  const { D, error, variance } = learned
  const dimensions = `${D} latent ${D === 1 ? 'dimension' : 'dimensions'}`
  if (!active(learned).includes(true))
    return `The posterior has collapsed or the model is untrained: none of the ${dimensions} depends on the image, so every place decodes to nearly the same image. Train longer, or with a smaller β.`
  if (error !== null && variance && 1 - error / variance < EXPLAINED)
    return 'The model seems untrained or collapsed: its reconstructions are no better than the mean image. Train longer, or with a smaller β.'
  return null
}
