import { type ReservationView } from './reservation-api.js';
import { type ReservationEntity } from './reservation.entity.js';

/** A reservation with its lines as the API tells it. */
export function toReservationView(reservation: ReservationEntity): ReservationView {
  const { orderId, customerId, status, reason, totalCents, lines, version } = reservation;
  return {
    orderId,
    ...(customerId === null ? {} : { customerId }),
    status,
    ...(reason === null ? {} : { reason }),
    ...(totalCents === null ? {} : { totalCents }),
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity })).sort((a, b) => (a.sku < b.sku ? -1 : 1)),
    version,
  };
}
