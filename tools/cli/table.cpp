// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/table.h"

#include <algorithm>

namespace synward::cli {

std::string Table::text(unsigned indent, bool colours) const {
    std::vector<std::size_t> width;
    bool headed = false;
    for (const Column& column : columns_) {
        width.push_back(column.head.size());
        headed |= !column.head.empty();
    }
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < width.size(); i++) width[i] = std::max(width[i], row[i].text.size());

    std::string out;
    auto line = [&](auto&& cell_of) {
        std::string painted(indent, ' ');
        for (std::size_t i = 0; i < columns_.size(); i++) {
            const Cell cell = cell_of(i);
            const std::string space(width[i] - cell.text.size(), ' ');
            if (i) painted += "  ";
            const bool right = columns_[i].align == Align::right;
            painted += right ? space + paint(cell.text, cell.colour, colours)
                             : paint(cell.text, cell.colour, colours) + space;
        }
        painted.erase(painted.find_last_not_of(' ') + 1);
        out += painted + '\n';
    };
    if (headed) line([&](std::size_t i) { return Cell(columns_[i].head, Colour::dim); });
    for (const auto& row : rows_) line([&](std::size_t i) { return row[i]; });
    return out;
}

}  // namespace synward::cli
