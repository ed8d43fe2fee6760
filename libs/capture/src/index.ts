export type {
  CapturedPage,
  CapturePort,
  CaptureStatus,
  ClaimRequest,
  ClaimResult,
  PauseRequest,
  SettleResult,
  SourcePort,
  StartFrom,
} from './capture-port.js';
export { CaptureError } from './capture.errors.js';
export type { CaptureDisposition, CaptureErrorCode } from './capture.errors.js';
