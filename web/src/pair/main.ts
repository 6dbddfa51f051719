import '../app.css'
import { mount } from 'svelte'
import Pair from './Pair.svelte'

mount(Pair, { target: document.getElementById('app')! })
