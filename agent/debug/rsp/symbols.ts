/**
 * Symbols that gdbserver is about to ask for, told before it does. Its libthread_db looks up some sixty of the C library's,
 * one question each (GDB manual, `qSymbol`). A packet as the manual leaves it to a vendor; a stub that does not know it
 * answers with nothing, and gdbserver's questions reach the client as ever.
 */

const PREFIX = 'Qgodwit.symbols:';
/** Symbols in one packet. */
export const MAX_TOLD = 256;
const SHAPE = new RegExp(`^${PREFIX}(?:(?:[0-9a-f]{2}){1,256}=[0-9a-f]{0,16};){1,${MAX_TOLD}}$`, 'i');

/** Without it no threads are looked for. */
const VERSION = '__nptl_version';
/**
 * What is asked for behind that (glibc, `nptl_db/symbols.def` and `structs.def`), and by gdbserver itself. One that is
 * missing here is asked for by itself.
 */
const OTHERS = [
  'gdb_agent_gdb_tp_heap_buffer',
  ...['__nptl_create_event', '__nptl_death_event', '__nptl_initial_report_events', '__nptl_last_event'],
  ...['__nptl_nthreads', '__nptl_rtld_global', '__nptl_threads_events', '__pthread_keys'],
  ...['_dl_stack_used', '_dl_stack_user', '_dl_tls_dtv_slotinfo_list'],
  ...[
    ...['__nptl_initial_report_events', '__nptl_last_event', '__nptl_nthreads', '__nptl_rtld_global'],
    ...['__pthread_keys', '_dl_stack_used', '_dl_stack_user', '_dl_tls_dtv_slotinfo_list'],
    ...[
      'const_thread_area',
      'dtv_dtv',
      'dtv_slotinfo_gen',
      'dtv_slotinfo_list_len',
      'dtv_slotinfo_list_next',
    ],
    ...['dtv_slotinfo_list_slotinfo', 'dtv_slotinfo_map', 'dtv_t_counter', 'dtv_t_pointer_val'],
    ...['link_map_l_tls_modid', 'link_map_l_tls_offset', 'list_t_next', 'list_t_prev'],
    ...['pthread_cancelhandling', 'pthread_dtvp', 'pthread_eventbuf', 'pthread_eventbuf_eventmask'],
    ...['pthread_eventbuf_eventmask_event_bits', 'pthread_key_data_data', 'pthread_key_data_level2_data'],
    ...['pthread_key_data_seq', 'pthread_key_struct_destr', 'pthread_key_struct_seq', 'pthread_list'],
    ...['pthread_nextevent', 'pthread_report_events', 'pthread_schedparam_sched_priority'],
    ...['pthread_schedpolicy', 'pthread_specific', 'pthread_start_routine', 'pthread_tid'],
    ...['register32', 'register32_thread_area', 'register64', 'register64_thread_area'],
    ...['rtld_global__dl_stack_used', 'rtld_global__dl_stack_user', 'rtld_global__dl_tls_dtv_slotinfo_list'],
    ...['sizeof_dtv_slotinfo', 'sizeof_dtv_slotinfo_list', 'sizeof_list_t', 'sizeof_pthread'],
    ...['sizeof_pthread_key_data', 'sizeof_pthread_key_data_level2', 'sizeof_pthread_key_struct'],
    ...['sizeof_td_eventbuf_t', 'sizeof_td_thr_events_t', 'td_eventbuf_t_eventdata'],
    ...['td_eventbuf_t_eventnum', 'td_thr_events_t_event_bits'],
  ].map((name) => `_thread_db_${name}`),
];

/** All in hex, as the packets have them; without the first the others need not be looked up. */
export const LOOKED_UP: readonly string[] = [VERSION, ...OTHERS].map((name) =>
  Buffer.from(name).toString('hex'),
);

/** A symbol's address in hex, empty where the client has none of that name, by its name in hex. */
export type Symbols = ReadonlyMap<string, string>;

export const encodeSymbols = (symbols: Symbols): string =>
  PREFIX + [...symbols].map(([name, value]) => `${name}=${value};`).join('');

export const tellsSymbols = (packet: string): boolean => packet.startsWith(PREFIX);

/** null where it is none that is understood here. */
export function decodeSymbols(packet: string): Symbols | null {
  if (!SHAPE.test(packet)) return null;
  const pairs = packet.slice(PREFIX.length, -1).split(';');
  return new Map(pairs.map((pair) => pair.split('=') as [string, string]));
}
