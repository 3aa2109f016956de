/** In place of the package `serialport`, which only a debugger of embedded boards has use for. */
export class SerialPort {}
export class ReadlineParser {}
