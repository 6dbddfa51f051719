/** Six things to try while a training is watched: two sentences, the knobs, and what to look at. */

import type { Knob } from '../engine/frames'

export interface Experiment {
  id: string
  title: string
  text: string
  look: string
  knobs: Partial<Record<Knob, number>>
  /** Classes that alone are shown. */
  classes?: [string, string]
}

export const EXPERIMENTS: Experiment[] = [
  {
    id: 'collapse',
    title: 'Towards posterior collapse',
    text: 'At β = 16 each nat of KL must save 16 nats of reconstruction. Codes that say little are then cheaper than codes that say much.',
    look: 'The KL stays far below what it is at β = 1. The map shrinks, and the pictures lose their details.',
    knobs: { beta: 16 },
  },
  {
    id: 'holes',
    title: 'Holes',
    text: 'At β = 1/16 the KL costs next to nothing. Each image gets a place of its own, and what lies between the images is left to chance.',
    look: 'The KL rises. Look between two classes: the picture there belongs to neither.',
    knobs: { beta: 1 / 16 },
  },
  {
    id: 'line',
    title: 'One latent dimension',
    text: 'Every image must find its place on a line. The page opens again, because the map is another.',
    look: 'Which classes are neighbours, and which lie on both sides of another.',
    knobs: { latent: 1 },
  },
  {
    id: 'few',
    title: 'A hundred training images',
    text: 'The decoder learns a hundred images by heart. The points on the map are test images, which it has never seen.',
    look: 'Training reconstruction keeps falling; the held-out one stops, then rises.',
    knobs: { images: 100 },
  },
  {
    id: 'rate',
    title: 'A rate that is too high',
    text: 'At a learning rate of 0.3 each step overshoots. The next one corrects it, and overshoots again.',
    look: 'Points jump from frame to frame, and the reconstruction stays high. Then lower the rate.',
    knobs: { lr: 0.3 },
  },
  {
    id: 'pair',
    title: 'Shirt against Pullover',
    text: 'The two classes look alike at 28 × 28 pixels. Nobody tells the model which image is which.',
    look: 'How far the two overlap, and whether a lower β separates them.',
    knobs: {},
    classes: ['Shirt', 'Pullover'],
  },
]
