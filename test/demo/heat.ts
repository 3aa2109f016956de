/** What there is to see in the sample program. */
import { inProject } from '../support/project';
import type { Subject } from '../support/subject';

export const heat: Subject = {
  name: 'heat',
  source: inProject('examples', 'heat.c'),
  args: ['60'],
  first: {
    function: 'survey',
    at: 'struct reading reading = {.step = step};',
    values: { step: '1', alarms: '0', 'plate[0][100][96]': '90' },
    nexts: [
      'reading.hottest = plate[0][100][96];',
      'reading.mean = mean_of(plate[0]);',
      'find_front(&reading);',
      'int news = check_sensors();',
    ],
  },
  soon: {
    at: 'reading.alarms = alarms;',
    condition: 'step == 3',
    values: { 'reading.row': '114', 'reading.column': '110', news: '0', alarms: '3' },
  },
  later: {
    at: 'reading.alarms = alarms;',
    condition: 'step == 24',
    values: { step: '24', 'reading.row': '124', 'reading.column': '120', alarms: '5' },
  },
  long: { at: 'double outlook = forecast(80000);', next: 'printf("outlook: ' },
  watch: { expression: 'alarms', from: '5', to: '6' },
  child: {
    pid: 'auditor',
    at: 'book->last_mean = reading->mean;',
    nexts: ['digest = mix(book->digest, reading->mean);', 'digest = mix(book->digest, reading->hottest);'],
  },
};
