import { ApiProblems, ProblemError } from '@millrace/http';
import { Database } from '@millrace/service';
import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { reservationPathSchema, type ReservationView, reservationViewSchema } from './reservation-api.js';
import { toReservationView } from './reservation-view.js';
import { ReservationEntity } from './reservation.entity.js';

@ApiTags('reservations')
@ApiProblems({ 400: 'the request is not valid', 503: 'the database does not answer now' })
@Controller('reservations')
export class ReservationController {
  constructor(private readonly database: Database) {}

  @Get(':orderId')
  @ApiOperation({ summary: 'What became of the stock of one order' })
  @ApiResponse({ status: 200, description: 'the reservation', standardSchema: reservationViewSchema })
  @ApiProblems({ 404: 'no event of an order with this id has come here yet' })
  async get(@Param({ schema: reservationPathSchema }) { orderId }: { orderId: string }): Promise<ReservationView> {
    const reservation = await this.database.read(
      async (manager) => await manager.findOne(ReservationEntity, { where: { orderId }, relations: { lines: true } }),
    );
    if (reservation === null) {
      throw new ProblemError('not-found', 'No event of an order with this id has come here yet.');
    }
    return toReservationView(reservation);
  }
}
